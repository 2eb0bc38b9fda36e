//! The lock against a fake account whose clock the tests move.

use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::testing::FakeAccount;

const PARAMETER: &str = "/deployer/shop-dev/lock";

fn report() -> (LockReport, Arc<Mutex<Vec<String>>>) {
    let events: Arc<Mutex<Vec<String>>> = Arc::default();
    let recorded = events.clone();
    (
        Arc::new(move |event| recorded.lock().push(format!("{event:?}"))),
        events,
    )
}

/// A lock of another machine.
fn of_another_machine() -> String {
    let mut holder = serde_json::json!(Holder::new());
    holder["host"] = "elsewhere".into();
    // Years ahead of SSM's clock.
    holder["started"] = 4_000_000_000_i64.into();
    holder.to_string()
}

#[tokio::test]
async fn a_lock_expires_by_the_clock_of_ssm_whatever_its_machine_says() {
    let account = FakeAccount::new(Vec::new());
    let endpoint = account.start().await;
    let aws = endpoint.session().await;
    let (report, events) = report();
    account.set_parameter(PARAMETER, &of_another_machine());
    account.advance(Duration::from_mins(1));
    let held = Lock::acquire(&aws, "shop", "dev", report.clone()).await.err();
    assert!(matches!(held, Some(LockError::Held { .. })), "{held:?}");
    account.advance(Duration::from_mins(1));
    let lock = Lock::acquire(&aws, "shop", "dev", report)
        .await
        .expect("it has expired");
    assert_eq!(events.lock().len(), 1);
    lock.lease().require().await.expect("it is held");
    lock.release().await;
    assert_eq!(account.parameter(PARAMETER), None);
    assert_eq!(account.parameter(&format!("{PARAMETER}-time")), None);
}

#[tokio::test]
async fn a_lease_ends_when_another_deployment_has_taken_the_lock() {
    let account = FakeAccount::new(Vec::new());
    let endpoint = account.start().await;
    let aws = endpoint.session().await;
    let lock = Lock::acquire(&aws, "shop", "dev", report().0)
        .await
        .expect("it is free");
    let lease = lock.lease();
    lease.require().await.expect("it is held");
    account.set_parameter(PARAMETER, &of_another_machine());
    let other = account.parameter(PARAMETER);
    let lost = lease.require().await.err();
    assert!(matches!(lost, Some(LockError::Lost)), "{lost:?}");
    lock.release().await;
    assert_eq!(account.parameter(PARAMETER), other, "it is not this one's to delete");
}
