use splinter_bus::{Bus, Message};

#[derive(Message, Clone, Copy)]
#[message(encoding = "bytemuck")]
#[repr(C)]
struct Point {
    x: u32,
    y: u32,
}

// No further error where it is used.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus: Bus<Point> = Bus::create("points")?;
    bus.publish("k", &Point { x: 1, y: 2 })?;
    bus.publisher("k")?.loan_zeroed()?.x = 3;
    println!("{} {}", bus.get("k")?.unwrap().x, bus.sample("k")?.unwrap().y);
    Ok(())
}
