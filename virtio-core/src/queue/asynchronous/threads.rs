//! A port moves to another CPU, with the tasks that use it; checked at compile time.

use super::AsyncPort;
use crate::Hal;
use crate::transport::Transport;

const fn is_send<X: Send>() {}

const fn ports_move<T: Transport + Sync + 'static, H: Hal + 'static>() {
    is_send::<AsyncPort<'static, (), T, H>>();
}

const _: () = ports_move::<&'static mut (dyn Transport + Send + Sync), &'static dyn Hal>();
