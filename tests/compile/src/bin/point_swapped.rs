//! The message of `point` with two fields in another order.

#[derive(
    splinter_bus::Message,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
    bytemuck::Pod,
    bytemuck::Zeroable,
    Clone,
    Copy,
)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Point {
    y: i32,
    x: u32,
    name: [u8; 8],
}

include!("../program.rs");
