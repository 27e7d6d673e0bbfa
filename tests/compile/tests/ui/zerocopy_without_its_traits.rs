use splinter_bus::{Bus, Message};

#[derive(Message)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Nothing {
    x: u32,
    y: u32,
}

#[derive(Message, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct NoKnownLayout {
    x: u32,
}

// No further error where it is used.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus: Bus<Nothing> = Bus::create("points")?;
    bus.publish("k", &Nothing { x: 1, y: 2 })?;
    bus.publisher("k")?.loan_zeroed()?.x = 3;
    let x = bus.get("k")?.unwrap().x;
    let y = bus.sample("k")?.unwrap().y;
    let mut subscriber = bus.subscribe("k")?;
    println!("{x} {y} {}", subscriber.recv()?.x);
    println!("{}", subscriber.recv_sample()?.y);
    println!("{}", bus.work_queue("q")?.recv()?.x);
    Ok(())
}
