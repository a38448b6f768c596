//! What every front-end offers alike, written once.

/// Gives a front-end the methods that all have in common, documented: `features`, `transport_info`, `device`,
/// `ack_interrupt` and `dismantle`; with `attend: DeviceEvent` also `attend`, for a device type whose configuration changes
/// mean nothing of their own; with `recover: FUNCTION`, which brings the device up on a transport and a Hal, also `recover`. A device
/// that lies deeper is `device: (control.device)`.
///
/// ```
/// use virtio_core::device::{Device, DeviceEvent, Init, Wanted};
/// use virtio_core::queue::QueueSpec;
/// use virtio_core::{DeviceId, Error, Hal, Transport};
///
/// /// A pair of dice.
/// pub struct Dice<T: Transport, H: Hal + Clone> {
///     device: Device<T, H>,
/// }
///
/// impl<T: Transport, H: Hal + Clone> Dice<T, H> {
///     /// Brings the dice up.
///     pub fn new(transport: T, hal: H) -> Result<Self, Error> {
///         let init = Init::start(transport, hal, DeviceId::ENTROPY)?.negotiate(&Wanted::default())?;
///         Ok(Self { device: init.queues(&[QueueSpec::new::<()>(0, 8).response(2)])?.live()? })
///     }
/// }
///
/// virtio_core::lifecycle! {
///     impl[T: Transport, H: Hal + Clone] Dice<T, H> {
///         device: device, transport: T, hal: H, error: Error,
///         attend: DeviceEvent, recover: Self::new,
///     }
/// }
/// # use virtio_testkit::{FakeDevice, Reply, TestHal};
/// # let hal = TestHal::new();
/// # let fake = FakeDevice::builder(DeviceId::ENTROPY).queue(0, 8, |_| Reply::Hold).build(&hal);
///
/// let mut dice = Dice::new(fake.transport(), hal.clone())?;
/// let status = dice.ack_interrupt()?;
/// assert_eq!(dice.attend(status)?, None);
/// let dice = dice.recover()?;
/// let transport = dice.dismantle().unwrap();
/// # drop(transport);
/// # Ok::<(), Error>(())
/// ```
#[macro_export]
macro_rules! lifecycle {
    (impl[$($generics:tt)*] $front_end:ty {
        device: $device:tt, transport: $transport:ty, hal: $hal:ty, error: $error:ty
        $(, attend: $event:ty)?
        $(, recover: $again:expr)? $(,)?
    }) => {
        impl<$($generics)*> $front_end {
            /// The features that were negotiated.
            #[must_use]
            pub fn features(&self) -> $crate::Features {
                $crate::lifecycle!(@of self $device).features()
            }

            /// How the device is reached.
            ///
            /// # Errors
            /// The device was taken down.
            pub fn transport_info(&self) -> Result<$crate::transport::TransportInfo, $error> {
                Ok($crate::lifecycle!(@of self $device).transport_info()?)
            }

            /// The device below: its [`endpoint`](virtio_core::device::Device::endpoint) for the interrupt handler, its
            /// configuration space.
            #[must_use]
            pub fn device(&self) -> &$crate::device::Device<$transport, $hal> {
                &$crate::lifecycle!(@of self $device)
            }

            /// Reads why the device interrupts and acknowledges it. Look at what it has done after this, not before.
            ///
            /// # Errors
            /// The device was taken down, also if it asks to be reset: then by this call.
            pub fn ack_interrupt(&mut self) -> Result<$crate::transport::InterruptStatus, $error> {
                Ok($crate::lifecycle!(@of self $device).ack_interrupt()?)
            }

            $(
                /// Follows up on an interrupt that an [`Endpoint`](virtio_core::Endpoint) has acknowledged in its handler; a
                /// kernel that polls may call it at any time, with
                /// [`InterruptStatus::CONFIG`](virtio_core::transport::InterruptStatus). Look at what the device has done
                /// after this, too.
                ///
                /// # Errors
                /// The device was taken down.
                pub fn attend(
                    &mut self,
                    status: $crate::transport::InterruptStatus,
                ) -> Result<Option<$event>, $error> {
                    Ok($crate::lifecycle!(@of self $device).attend(status)?)
                }
            )?

            $(
                /// Resets the device and brings it up again: after
                /// [`DeviceEvent::NeedsReset`](virtio_core::DeviceEvent), or any error of the core. What was with it is
                /// dropped; interrupts are off until enabled, and endpoints have to be
                /// [taken anew](virtio_core::interrupt). On an error the transport is gone: find the device again.
                ///
                /// # Errors
                /// As for the constructor.
                pub fn recover(self) -> Result<Self, $error> {
                    $crate::lifecycle!(@of self $device).rebuild($again)
                }
            )?

            /// Resets the device, waits for the confirmation, frees its memory, and gives the transport back.
            ///
            /// # Errors
            /// [`NotStopped`](virtio_core::device::NotStopped) if the device does not confirm: its memory is leaked then.
            pub fn dismantle(
                self,
            ) -> Result<$transport, $crate::device::NotStopped<Option<$transport>>> {
                $crate::lifecycle!(@of self $device).dismantle()
            }
        }
    };
    (@of $this:ident ($outer:ident.$inner:ident)) => { $this.$outer.$inner };
    (@of $this:ident $field:ident) => { $this.$field };
}
