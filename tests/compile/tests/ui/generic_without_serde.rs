use splinter_bus::{Bus, Message};

#[derive(Message)]
struct Page<T> {
    items: Vec<T>,
}

fn main() {
    let _bus: Bus<Page<u32>> = Bus::create("pages").unwrap();
}
