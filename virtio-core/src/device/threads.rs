//! Which thread may have what, checked at compile time.

use super::live::Device;
use crate::queue::Port;
use crate::transport::Transport;
use crate::{Dma, Hal};

const fn is_send<X: Send>() {}
const fn is_sync<X: Sync>() {}

/// A device moves to another CPU with everything in it; so does a port, if the transport can be used from there.
const fn everything_moves<T: Transport + Send + Sync + 'static, H: Hal + Clone + 'static>() {
    is_send::<Device<T, H>>();
    is_sync::<Device<T, H>>();
    is_send::<Port<'static, (), T, H>>();
    is_send::<Dma<[u8], H>>();
    is_sync::<Dma<[u8], H>>();
}

const _: () = everything_moves::<&'static mut (dyn Transport + Send + Sync), &'static dyn Hal>();
