// Publishes a `Point`, or prints the newest one, or prints the error: `PROGRAM publish STORE`,
// `PROGRAM receive STORE`.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, store] = &arguments[..] else { panic!("{arguments:?} are not a role and a store") };
    let bus = splinter_bus::Bus::<Point>::open(&**store).expect("the store of the test");
    if role == "publish" {
        bus.publish("point", &Point { x: 1, y: -2, name: *b"in place" }).expect("space for a point");
        return;
    }
    match bus.get("point") {
        Ok(point) => {
            let point = point.expect("one was published");
            println!("{} {} {}", point.x, point.y, String::from_utf8_lossy(&point.name));
        }
        Err(error) => println!("{error}"),
    }
}
