use splinter_bus::Message;

#[derive(serde::Serialize, serde::Deserialize)]
struct Options {
    temperature: f32,
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Prompt {
    text: String,
    options: Options,
}

fn main() {}
