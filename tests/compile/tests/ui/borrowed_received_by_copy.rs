use splinter_bus::{Bus, Message};

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Prompt<'a> {
    text: &'a str,
}

fn receive(bus: &Bus<Prompt<'static>>) {
    let mut prompts = bus.subscribe("llm:prompt").unwrap();
    let prompt = prompts.recv();
}

fn get(bus: &Bus<Prompt<'static>>) {
    let prompt = bus.get("llm:prompt");
}

fn work(bus: &Bus<Prompt<'static>>) {
    let job = bus.work_queue("llm:prompt").unwrap().try_recv();
}

fn main() {}
