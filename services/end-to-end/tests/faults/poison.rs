//! Messages that nobody can read.

use std::time::Duration;

use contracts::{
    patient::events::PatientEvent,
    topics::{PATIENT, PATIENT_DLQ},
};
use end_to_end::{Ledger, Options, System, until};
use prost::Message;

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn a_poison_message_is_put_aside_with_its_reason_and_its_partition_goes_on() {
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
        let place = kafka.produce(PATIENT, &key, &payload, &headers).await;
        poison.push((place, payload));
        // The next event of the same patient is behind it, in the same partition.
        assert!(ledger.update(&admin, patient).await);
        ledger.settle(&system).await;
    }
    until("both consumers' letters", Duration::from_secs(20), async || {
        kafka.records(PATIENT_DLQ).await.len() >= 2 * poison.len()
    })
    .await;
    let letters = kafka.records(PATIENT_DLQ).await;
    assert_eq!(letters.len(), 2 * poison.len(), "one from each consumer");
    for ((partition, offset), payload) in poison {
        let told = letters.iter().filter(|letter| {
            letter.header("topic").as_deref() == Some(PATIENT)
                && letter.header("partition") == Some(partition.to_string())
                && letter.header("offset") == Some(offset.to_string())
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 2, "letters of {partition}/{offset} in {letters:?}");
        for letter in told {
            assert_eq!(letter.payload, payload);
            assert_eq!(letter.key, key.as_bytes());
            assert!(letter.header("reason").is_some_and(|reason| !reason.is_empty()));
        }
    }
}
