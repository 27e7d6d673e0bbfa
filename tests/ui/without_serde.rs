use splinter_bus::Message;

#[derive(Message)]
struct Prompt {
    text: String,
}

fn main() {}
