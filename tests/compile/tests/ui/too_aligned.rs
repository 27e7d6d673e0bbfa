use splinter_bus::Message;

#[derive(Message, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)]
#[message(encoding = "zerocopy")]
#[repr(C, align(128))]
struct Lanes {
    lanes: [f32; 32],
}

fn main() {}
