//! The committed code equals the code that the `.proto` files generate.

use std::{fs, path::Path};

use protox::prost::Message;

const PROTOS: [&str; 3] = [
    "audit/v1/audit.proto",
    "billing/v1/billing.proto",
    "patient/events/patient_event.proto",
];
const FILES: [&str; 4] = ["audit.v1.rs", "billing.v1.rs", "patient.events.rs", "descriptors.bin"];

#[test]
fn the_committed_code_equals_the_generated_code() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = here.join("src/generated");
    let fresh = tempfile::tempdir().expect("a temporary directory");

    let descriptors = protox::compile(PROTOS, [here.join("proto")]).expect("the .proto files compile");
    fs::write(fresh.path().join("descriptors.bin"), descriptors.encode_to_vec()).expect("descriptors are written");
    tonic_prost_build::configure()
        .out_dir(fresh.path())
        .compile_fds(descriptors)
        .expect("code is generated from the descriptors");

    for file in FILES {
        let generated = fs::read(fresh.path().join(file)).expect("the generated file");
        if std::env::var_os("CONTRACTS_WRITE").is_some() {
            fs::create_dir_all(&committed).expect("the directory of generated code");
            fs::write(committed.join(file), &generated).expect("the generated file is written");
        }
        let found = fs::read(committed.join(file)).unwrap_or_default();
        assert!(
            found == generated,
            "{file} is stale: run `CONTRACTS_WRITE=1 cargo test --release -p contracts`"
        );
    }
}
