use splinter_bus::Message;

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Nothing;

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(kind = "heartbeat")]
struct Something {
    field: u32,
}

fn main() {}
