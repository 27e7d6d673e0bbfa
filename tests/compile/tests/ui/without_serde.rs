use splinter_bus::{Bus, Message};

#[derive(Message)]
struct Neither {
    text: String,
}

#[derive(Message, serde::Serialize)]
struct NoDeserialize {
    text: String,
}

#[derive(Message)]
struct Borrows<'a> {
    text: &'a str,
}

// No further error where it is used.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus: Bus<Neither> = Bus::create("prompts")?;
    bus.publish("k", &Neither { text: "t".into() })?;
    println!("{}", bus.get("k")?.unwrap().text);
    println!("{}", bus.sample("k")?.unwrap().view()?.text);
    Ok(())
}
