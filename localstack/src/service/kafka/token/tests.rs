//! Tokens of AWS's own signer, and tokens that are not as they should be.

use serde_json::Value;
use time::format_description::well_known::Rfc3339;

use super::*;
use crate::service::testing::context;

const REGION: &str = "us-east-1";

/// Signs a token as a client does, with one parameter as `(name, value)` in the place of the usual one.
pub fn signed(session: &Session, given: &str, now: OffsetDateTime, other: Option<(&str, &str)>) -> String {
    let date = now.format(MOMENT).unwrap();
    let scope = format!("{}/{REGION}/{SERVICE}/aws4_request", &date[..8]);
    let mut told: BTreeMap<String, String> = [
        ("Action", "kafka-cluster:Connect"),
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", &format!("{}/{scope}", session.key_id)),
        ("X-Amz-Date", &date),
        ("X-Amz-Expires", "900"),
        ("X-Amz-Security-Token", given),
        ("X-Amz-SignedHeaders", "host"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if let Some((name, value)) = other {
        told.insert(name.to_owned(), value.to_owned());
    }
    let signature = sign(&session.secret, &told, &told["X-Amz-Date"], REGION);
    let pairs = told
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, RESERVED)));
    let query = pairs.collect::<Vec<_>>().join("&");
    BASE64.encode(format!(
        "https://kafka.{REGION}.amazonaws.com/?{query}&{SIGNATURE}={signature}&{AGENT}=a%2Ftest"
    ))
}

/// A role's session that ends in an hour, its token, and somebody who asks the endpoint with them.
fn role(then: impl FnOnce(&dyn Fn(&str, OffsetDateTime) -> Result<Session, String>, &Session, &str, OffsetDateTime)) {
    let (cx, _folder) = context();
    let now = OffsetDateTime::now_utc();
    let (session, token) = Session::begin(&cx, "arn:aws:iam::0:role/r", "task", now + Duration::hours(1)).unwrap();
    let ask = |text: &str, at: OffsetDateTime| verify(text, REGION, at, |token| Session::of(&cx, token));
    then(&ask, &session, &token, now);
}

fn why(asked: Result<Session, String>) -> String {
    asked.err().expect("a refusal")
}

#[test]
fn tokens_of_the_signer_that_aws_gives_hold() {
    let recorded = include_str!("../../../../../services/kit/src/kafka/iam/vectors.json");
    let vectors: Vec<Value> = serde_json::from_str(recorded).unwrap();
    let text = |vector: &Value, name: &str| vector[name].as_str().unwrap_or_default().to_owned();
    let mut held = 0;
    for vector in &vectors {
        let now = OffsetDateTime::parse(&text(vector, "now"), &Rfc3339).unwrap();
        let (session, region) = (text(vector, "session"), text(vector, "region"));
        let ask = |secret: String, at: OffsetDateTime| {
            verify(&text(vector, "token"), &region, at, |given| {
                let known = serde_json::json!({
                    "key_id": text(vector, "key_id"), "secret": secret, "role": "r", "name": "n", "expires": i64::MAX,
                });
                (given == session).then(|| serde_json::from_value(known).unwrap())
            })
        };
        let right = || text(vector, "secret");
        assert_eq!(
            ask(right(), now).map(|session| session.role),
            Ok("r".into()),
            "{region}"
        );
        assert_eq!(why(ask("another".into(), now)), "the token's signature is wrong");
        assert!(why(ask(right(), now + Duration::seconds(LONGEST))).contains("has expired"));
        held += 1;
    }
    assert!(held > 2);
}

#[test]
fn a_token_holds_again_and_again_until_it_ends() {
    role(|ask, session, token, now| {
        let text = signed(session, token, now, None);
        for seconds in [0, 1, 899] {
            let whose = ask(&text, now + Duration::seconds(seconds)).map(|session| session.name);
            assert_eq!(whose.as_deref(), Ok("task"));
        }
        assert!(why(ask(&text, now + Duration::seconds(900))).contains("has expired"));
        assert!(why(ask(&text, now - Duration::minutes(6))).contains("of the future"));
    });
}

#[test]
fn a_token_that_says_something_else_is_refused_for_that() {
    role(|ask, session, token, now| {
        for (name, value, reason) in [
            ("Action", "kafka-cluster:ReadData", "another action"),
            ("X-Amz-Expires", "901", "not between 1 and 900"),
            ("X-Amz-Expires", "0", "not between 1 and 900"),
            ("X-Amz-Date", "yesterday-at-noon", "is no time"),
            ("X-Amz-SignedHeaders", "host;x-other", "over the host alone"),
            ("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256", "over the host alone"),
            (
                "X-Amz-Security-Token",
                "somebody's",
                "not signed with the credentials of a task's role",
            ),
            (
                "X-Amz-Credential",
                "AKID/20200101/us-east-1/kafka-cluster/aws4_request",
                "credential is not one for",
            ),
        ] {
            let text = signed(session, token, now, Some((name, value)));
            let told = why(ask(&text, now));
            assert!(told.contains(reason), "{name}={value}: {told}");
        }
        let text = signed(session, token, now, None);
        let elsewhere = verify(&text, "eu-central-1", now, |_| None);
        assert!(why(elsewhere).contains("kafka.eu-central-1.amazonaws.com"));
        for garbage in ["", "no base64!", "aHR0cHM6Ly9leGFtcGxlLm9yZw"] {
            assert!(ask(garbage, now).is_err(), "{garbage}");
        }
    });
}

#[test]
fn a_key_of_another_session_a_changed_url_and_credentials_that_ended_are_refused() {
    role(|ask, session, token, now| {
        role(|_, stranger, _, _| {
            let mixed = Session {
                key_id: session.key_id.clone(),
                secret: stranger.secret.clone(),
                ..Session::begin(&context().0, "r", "n", now).unwrap().0
            };
            assert_eq!(
                why(ask(&signed(&mixed, token, now, None), now)),
                "the token's signature is wrong"
            );
            let other = why(ask(&signed(stranger, token, now, None), now));
            assert!(other.contains("not signed with the credentials"), "{other}");
        });
        let url = String::from_utf8(BASE64.decode(signed(session, token, now, None)).unwrap()).unwrap();
        let longer = BASE64.encode(url.replace("X-Amz-Expires=900", "X-Amz-Expires=899"));
        assert_eq!(why(ask(&longer, now)), "the token's signature is wrong");
        let twice = BASE64.encode(format!("{url}&Action=kafka-cluster%3AConnect"));
        assert!(why(ask(&twice, now)).contains("says something twice"));
        let late = now + Duration::hours(1);
        let told = why(ask(&signed(session, token, late, None), late));
        assert_eq!(
            told,
            "the credentials of arn:aws:iam::0:role/r that signed the token have expired"
        );
    });
}
