use splinter_bus::Bus;

fn main() {
    let _text = Bus::<String>::open("llm_bus");
    let _number: Bus<u32> = Bus::create("llm_bus").unwrap();
}
