use super::*;

#[test]
fn a_note_is_bounded_at_a_character() {
    assert_eq!(bounded("short"), "short");
    let long = "é".repeat(LONGEST);
    let cut = bounded(&long);
    assert!(cut.len() <= LONGEST && long.starts_with(&cut) && cut.len() >= LONGEST - 1);
}
