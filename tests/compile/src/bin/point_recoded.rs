//! The message of `point` with another encoding.

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
#[message(encoding = "bytemuck")]
#[repr(C)]
struct Point {
    x: u32,
    y: i32,
    name: [u8; 8],
}

include!("../program.rs");
