use std::convert::Infallible;

use super::all;

#[test]
fn every_example_is_whole() {
    let examples = all();
    assert!(examples.len() >= 32, "{}", examples.len());
    for example in &examples {
        let mut ports = 0;
        let resources = example
            .resources(|_| {
                ports += 1;
                Ok::<_, Infallible>(9000 + ports)
            })
            .unwrap();
        assert!(ports > 0, "{}: no backend", example.name);
        let slices: Vec<_> = resources
            .endpoint_slices
            .values()
            .flat_map(|slice| slice.ports.clone().unwrap())
            .collect();
        assert!(
            slices
                .iter()
                .all(|port| (9001..=9009).contains(&port.port.unwrap())),
            "{}",
            example.name
        );
        assert!(
            !example.summary.is_empty() && !example.summary.starts_with([' ', '|']),
            "{}",
            example.name
        );
        for request in &example.requests {
            assert!(
                request.command.contains("localhost:8080"),
                "{}: {}",
                example.name,
                request.command
            );
            assert!(
                !request.expected.is_empty(),
                "{}: {}",
                example.name,
                request.command
            );
        }
    }
}

#[test]
fn the_port_of_a_command_can_be_another() {
    let examples = all();
    let canary = examples
        .iter()
        .find(|example| example.name == "canary-by-header")
        .unwrap();
    assert_eq!(
        canary.requests[0].command_for(9),
        "curl -H 'higress: always' localhost:9/hello"
    );
}
