//! The examples are built in: a changed one is a reason to build again.

fn main() {
    println!("cargo::rerun-if-changed=../../examples");
}
