//! Messages that no consumer can decode.

use std::time::Duration;

use contracts::{
    patient::events::PatientEvent,
    topics::{PATIENT, PATIENT_DLQ},
};
use end_to_end::{Ledger, Options, System, wait_until};
use prost::Message;

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn a_poison_message_becomes_a_dead_letter_and_its_partition_continues() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let patient = ledger.create(&admin).await.expect("an acknowledged creation");
    let key = patient.to_string();
    let unknown = PatientEvent {
        patient_id: key.clone(),
        event_type: "PATIENT_ABDUCTED".into(),
        ..PatientEvent::default()
    };
    let kafka = system.kafka();
    let mut poison = Vec::new();
    for payload in [b"\xff\xfe no protobuf".to_vec(), unknown.encode_to_vec(), Vec::new()] {
        let headers: [(&str, &[u8]); 1] = [("origin", b"a test")];
        let offset = kafka.produce(PATIENT, &key, &payload, &headers).await;
        poison.push((offset, payload));
        // The next event of the same patient follows it in the same partition.
        assert!(ledger.update(&admin, patient).await);
        ledger.verify(&system).await;
    }
    wait_until(
        "the dead letters of both consumers",
        Duration::from_secs(20),
        async || kafka.records(PATIENT_DLQ).await.len() >= 2 * poison.len(),
    )
    .await;
    let dead_letters = kafka.records(PATIENT_DLQ).await;
    assert_eq!(dead_letters.len(), 2 * poison.len(), "one from each consumer");
    for ((partition, offset), payload) in poison {
        let matching = dead_letters.iter().filter(|record| {
            record.header("topic").as_deref() == Some(PATIENT)
                && record.header("partition") == Some(partition.to_string())
                && record.header("offset") == Some(offset.to_string())
        });
        let matching: Vec<_> = matching.collect();
        assert_eq!(
            matching.len(),
            2,
            "dead letters of {partition}/{offset} in {dead_letters:?}"
        );
        for record in matching {
            assert_eq!(record.payload, payload);
            assert_eq!(record.key, key.as_bytes());
            assert!(record.header("reason").is_some_and(|reason| !reason.is_empty()));
        }
    }
}
