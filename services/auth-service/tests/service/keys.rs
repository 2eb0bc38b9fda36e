//! Signing keys: their rotation, and the secret that they are kept under.

use std::collections::{HashMap, VecDeque};

use auth_service::{keyring::Keyring, seal::Seal, session::ACCESS};
use http::StatusCode;
use time::{Duration, OffsetDateTime};

use crate::support::{ADMIN, PASSWORD, Service, keyring, secret};

#[tokio::test]
async fn the_next_key_is_published_before_it_signs_and_the_former_one_after() {
    let Some(service) = Service::start().await else { return };
    let keyring = &service.app.keyring;
    let kids = || -> Vec<String> {
        let jwks = keyring.jwks();
        jwks["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect()
    };
    let claims = keyring.verifier().verify(&service.admin().await).await.unwrap();
    let signer = |now| {
        let token = keyring.sign(&claims, now).unwrap();
        jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
    };
    let start = OffsetDateTime::now_utc();
    let first = kids()[0].clone();
    assert!(
        keyring.jwks()["keys"][0].get("d").is_none(),
        "no private key is published"
    );

    let due = start + Duration::days(30);
    keyring.turn(due).await.unwrap();
    keyring.turn(due).await.unwrap();
    assert_eq!(kids().len(), 2, "one successor, however often it is looked at");
    assert_eq!(signer(due), first, "the successor does not sign yet");
    let later = due + Duration::minutes(61);
    assert_ne!(signer(later), first, "now it does");
    keyring.turn(later).await.unwrap();
    assert!(kids().contains(&first), "tokens of the former key are still about");
    keyring.turn(later + Duration::minutes(61)).await.unwrap();
    assert!(!kids().contains(&first), "none is left");
    service.database.drop().await;
}

#[tokio::test]
async fn keys_outlive_a_change_of_the_secret_and_a_wrong_secret_is_a_clear_error() {
    let Some(service) = Service::start().await else { return };
    let (pool, now) = (&service.database.pool, OffsetDateTime::now_utc());
    let token = service.admin().await;
    let error = keyring(pool, Seal::new(&secret("b"), None).unwrap(), now)
        .await
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("AUTH_KEY_ENCRYPTION_KEY_PREVIOUS"),
        "{error}"
    );

    let changed = keyring(pool, Seal::new(&secret("b"), Some(&secret("a"))).unwrap(), now)
        .await
        .unwrap();
    assert!(changed.verifier().verify(&token).await.is_ok());
    // Sealed again: the former secret is not needed any more, and the replica that knows only it signs on.
    assert!(keyring(pool, Seal::new(&secret("b"), None).unwrap(), now).await.is_ok());
    service.app.keyring.turn(now).await.unwrap();
    assert_eq!(service.login(ADMIN, PASSWORD).await.0, StatusCode::OK);
    service.database.drop().await;
}

fn published(keyring: &Keyring) -> Vec<String> {
    let jwks = keyring.jwks();
    let keys = jwks["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn over_two_rotations_every_token_is_known_to_every_verifier_until_it_ends() {
    let Some(service) = Service::start().await else { return };
    let start = OffsetDateTime::now_utc();
    let seal = || Seal::new(&secret("a"), None).unwrap();
    let pool = &service.database.pool;
    let replicas = [
        keyring(pool, seal(), start).await.unwrap(),
        keyring(pool, seal(), start).await.unwrap(),
    ];
    let claims = replicas[0].verifier().verify(&service.admin().await).await.unwrap();
    // A verifier reads the keys of either replica, some time after the other verifier.
    let mut verifiers = [published(&replicas[0]), published(&replicas[1])];
    let mut alive: VecDeque<(OffsetDateTime, String)> = VecDeque::new();
    let mut signed: HashMap<String, usize> = HashMap::new();
    let step = Duration::minutes(3);
    let mut now = start;
    for round in 0..(61 * 24 * 20) {
        now += step;
        // Most of 61 days nothing happens; a day around each rotation is looked at closely.
        let day = (now - start).whole_days() % 30;
        if (1..29).contains(&day) {
            continue;
        }
        replicas[round % 2].turn(now).await.unwrap();
        verifiers[round / 2 % 2] = published(&replicas[round / 4 % 2]);
        for replica in &replicas {
            let kid = jsonwebtoken::decode_header(replica.sign(&claims, now).unwrap())
                .unwrap()
                .kid
                .unwrap();
            *signed.entry(kid.clone()).or_default() += 1;
            alive.push_back((now + ACCESS, kid));
        }
        while alive.front().is_some_and(|(end, _)| *end < now) {
            alive.pop_front();
        }
        for (_, kid) in &alive {
            assert!(verifiers.iter().all(|known| known.contains(kid)), "at {}", now - start);
        }
    }
    assert!(signed.len() >= 3, "it was rotated twice: {signed:?}");
    service.database.drop().await;
}
