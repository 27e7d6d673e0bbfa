use splinter_bus::Message;

#[derive(Message)]
union Either {
    number: u32,
    bytes: [u8; 4],
}

fn main() {}
