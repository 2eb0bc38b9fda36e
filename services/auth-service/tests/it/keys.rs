//! Signing keys: their rotation, and a change of the secret that encrypts them.

use std::collections::{HashMap, VecDeque};

use auth_service::access_token::LIFETIME;
use auth_service::keyring::{Keyring, KeyringError};
use auth_service::seal::Seal;
use http::StatusCode;
use time::{Duration, OffsetDateTime};

use crate::support::{ADMIN, PASSWORD, TestApp, keyring, secret};

#[tokio::test]
async fn the_next_key_is_published_before_it_signs_and_the_former_one_after() {
    let Some(app) = TestApp::start().await else { return };
    let keyring = &app.state.keyring;
    let kids = || published(keyring);
    let claims = keyring.verifier().verify(&app.admin_token().await).await.unwrap();
    let signer = |now| {
        let token = keyring.sign(&claims, now).unwrap();
        jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
    };
    let start = OffsetDateTime::now_utc();
    let first = kids()[0].clone();
    let due = start + Duration::days(30);
    keyring.rotate_keys(due).await.unwrap();
    keyring.rotate_keys(due).await.unwrap();
    assert_eq!(kids().len(), 2, "one successor, although the rotation ran twice");
    assert_eq!(signer(due), first, "the successor does not sign yet");
    let later = due + Duration::minutes(61);
    assert_ne!(signer(later), first, "the successor signs now");
    keyring.rotate_keys(later).await.unwrap();
    assert!(kids().contains(&first), "tokens of the former key are still valid");
    keyring.rotate_keys(later + Duration::minutes(61)).await.unwrap();
    assert!(!kids().contains(&first), "no token of the former key is valid");
    app.database.drop().await;
}

#[tokio::test]
async fn keys_survive_a_change_of_the_secret_and_a_wrong_secret_is_an_error() {
    let Some(app) = TestApp::start().await else { return };
    let (pool, now) = (&app.database.pool, OffsetDateTime::now_utc());
    let token = app.admin_token().await;
    let error = keyring(pool, Seal::new(&secret("b"), None).unwrap(), now).await.err();
    assert!(matches!(error, Some(KeyringError::NoUsableKey)), "{error:?}");

    let changed = keyring(pool, Seal::new(&secret("b"), Some(&secret("a"))).unwrap(), now)
        .await
        .unwrap();
    assert!(changed.verifier().verify(&token).await.is_ok());
    // The keys are sealed again: the former secret is no longer needed, and a replica that knows only that one still signs.
    assert!(keyring(pool, Seal::new(&secret("b"), None).unwrap(), now).await.is_ok());
    app.state.keyring.rotate_keys(now).await.unwrap();
    assert_eq!(app.login(ADMIN, PASSWORD).await.0, StatusCode::OK);
    app.database.drop().await;
}

fn published(keyring: &Keyring) -> Vec<String> {
    let jwks = keyring.jwks();
    let keys = jwks["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn over_two_rotations_every_verifier_knows_the_key_of_every_valid_token() {
    let Some(app) = TestApp::start().await else { return };
    let start = OffsetDateTime::now_utc();
    let seal = || Seal::new(&secret("a"), None).unwrap();
    let pool = &app.database.pool;
    let replicas = [
        keyring(pool, seal(), start).await.unwrap(),
        keyring(pool, seal(), start).await.unwrap(),
    ];
    let claims = replicas[0].verifier().verify(&app.admin_token().await).await.unwrap();
    // A verifier reads the keys of one of the replicas, at another time than the other verifier.
    let mut verifiers = [published(&replicas[0]), published(&replicas[1])];
    let mut valid: VecDeque<(OffsetDateTime, String)> = VecDeque::new();
    let mut signed: HashMap<String, usize> = HashMap::new();
    let step = Duration::minutes(3);
    let mut now = start;
    for round in 0..(61 * 24 * 20) {
        now += step;
        // Nothing happens on most of the 61 days; only one day before and after each rotation is tested.
        let day = (now - start).whole_days() % 30;
        if (1..29).contains(&day) {
            continue;
        }
        replicas[round % 2].rotate_keys(now).await.unwrap();
        verifiers[round / 2 % 2] = published(&replicas[round / 4 % 2]);
        for replica in &replicas {
            let kid = jsonwebtoken::decode_header(replica.sign(&claims, now).unwrap())
                .unwrap()
                .kid
                .unwrap();
            *signed.entry(kid.clone()).or_default() += 1;
            valid.push_back((now + LIFETIME, kid));
        }
        while valid.front().is_some_and(|(end, _)| *end < now) {
            valid.pop_front();
        }
        for (_, kid) in &valid {
            assert!(verifiers.iter().all(|known| known.contains(kid)), "at {}", now - start);
        }
    }
    assert!(signed.len() >= 3, "two rotations: {signed:?}");
    app.database.drop().await;
}
