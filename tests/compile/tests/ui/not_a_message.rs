use splinter_bus::Bus;

struct Prompt;

fn main() {
    let _ = Bus::<Prompt>::open("llm_bus");
}
