//! Tests with tokens of AWS's own signer, and with invalid tokens.

use serde_json::Value;
use time::format_description::well_known::Rfc3339;

use super::*;
use crate::service::testing::context;

const REGION: &str = "us-east-1";

/// Signs a token as a client does, with one parameter replaced by `(name, value)`.
pub fn signed(session: &Session, given: &str, now: OffsetDateTime, other: Option<(&str, &str)>) -> String {
    let date = now.format(DATE_FORMAT).unwrap();
    let scope = format!("{}/{REGION}/{SERVICE}/aws4_request", &date[..8]);
    let mut parameters: BTreeMap<String, String> = [
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
        parameters.insert(name.to_owned(), value.to_owned());
    }
    let signature = sign(&session.secret, &parameters, &parameters["X-Amz-Date"], REGION);
    let pairs = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, RESERVED)));
    let query = pairs.collect::<Vec<_>>().join("&");
    BASE64.encode(format!(
        "https://kafka.{REGION}.amazonaws.com/?{query}&{SIGNATURE}={signature}&{AGENT}=a%2Ftest"
    ))
}

/// Calls `test` with a session that ends in an hour, its session token and a function that verifies tokens.
fn with_session(
    test: impl FnOnce(&dyn Fn(&str, OffsetDateTime) -> Result<Session, TokenError>, &Session, &str, OffsetDateTime),
) {
    let (cx, _folder) = context();
    let now = OffsetDateTime::now_utc();
    let (session, token) = Session::begin(&cx, "arn:aws:iam::0:role/r", "task", now + Duration::hours(1)).unwrap();
    let verify = |text: &str, at: OffsetDateTime| verify(text, REGION, at, |token| Session::of(&cx, token));
    test(&verify, &session, &token, now);
}

fn error_of(result: Result<Session, TokenError>) -> TokenError {
    result.err().expect("an invalid token")
}

#[test]
fn tokens_of_the_aws_signer_are_valid() {
    let recorded = include_str!("../../../../../services/kit/src/kafka/iam/vectors.json");
    let vectors: Vec<Value> = serde_json::from_str(recorded).unwrap();
    let text = |vector: &Value, name: &str| vector[name].as_str().unwrap_or_default().to_owned();
    assert!(vectors.len() > 2);
    for vector in &vectors {
        let now = OffsetDateTime::parse(&text(vector, "now"), &Rfc3339).unwrap();
        let (session, region) = (text(vector, "session"), text(vector, "region"));
        let verify = |secret: String, at: OffsetDateTime| {
            verify(&text(vector, "token"), &region, at, |given| {
                let known = serde_json::json!({
                    "key_id": text(vector, "key_id"), "secret": secret, "role": "r", "name": "n", "expires": i64::MAX,
                });
                (given == session).then(|| serde_json::from_value(known).unwrap())
            })
        };
        let right = || text(vector, "secret");
        assert_eq!(
            verify(right(), now).map(|session| session.role),
            Ok("r".into()),
            "{region}"
        );
        assert_eq!(error_of(verify("another".into(), now)), TokenError::WrongSignature);
        let late = error_of(verify(right(), now + Duration::seconds(MAX_LIFETIME_SECONDS)));
        assert!(matches!(late, TokenError::Expired { seconds, .. } if seconds <= MAX_LIFETIME_SECONDS));
    }
}

#[test]
fn a_token_can_be_used_repeatedly_until_it_expires() {
    with_session(|verify, session, token, now| {
        let text = signed(session, token, now, None);
        for seconds in [0, 1, 899] {
            let name = verify(&text, now + Duration::seconds(seconds)).map(|session| session.name);
            assert_eq!(name.as_deref(), Ok("task"));
        }
        let late = error_of(verify(&text, now + Duration::seconds(900)));
        assert!(matches!(late, TokenError::Expired { seconds: 900, .. }), "{late}");
        let early = error_of(verify(&text, now - Duration::minutes(6)));
        assert!(matches!(early, TokenError::NotYetValid(_)), "{early}");
    });
}

#[test]
fn a_token_with_another_parameter_is_rejected_for_that_parameter() {
    with_session(|verify, session, token, now| {
        let other_scope = "AKID/20200101/us-east-1/kafka-cluster/aws4_request";
        let date = now.format(DATE_FORMAT).unwrap();
        let scope = format!("{}/{REGION}/{SERVICE}/aws4_request", &date[..8]);
        for (name, value, expected) in [
            ("Action", "kafka-cluster:ReadData", TokenError::WrongAction),
            ("X-Amz-Expires", "901", TokenError::InvalidLifetime),
            ("X-Amz-Expires", "0", TokenError::InvalidLifetime),
            ("X-Amz-Date", "yesterday-at-noon", TokenError::InvalidDate),
            ("X-Amz-SignedHeaders", "host;x-other", TokenError::WrongAlgorithm),
            ("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256", TokenError::WrongAlgorithm),
            ("X-Amz-Security-Token", "another's", TokenError::UnknownCredentials),
            ("X-Amz-Credential", other_scope, TokenError::WrongScope(scope)),
        ] {
            let text = signed(session, token, now, Some((name, value)));
            assert_eq!(error_of(verify(&text, now)), expected, "{name}={value}");
        }
        let text = signed(session, token, now, None);
        let elsewhere = super::verify(&text, "eu-central-1", now, |_| None);
        let host = "kafka.eu-central-1.amazonaws.com".to_owned();
        assert_eq!(error_of(elsewhere), TokenError::WrongHost(host));
        for invalid in ["", "no base64!", "aHR0cHM6Ly9leGFtcGxlLm9yZw"] {
            assert!(verify(invalid, now).is_err(), "{invalid}");
        }
    });
}

#[test]
fn a_key_of_another_session_a_changed_url_and_expired_credentials_are_rejected() {
    with_session(|verify, session, token, now| {
        with_session(|_, other, _, _| {
            let mixed = Session {
                key_id: session.key_id.clone(),
                secret: other.secret.clone(),
                ..Session::begin(&context().0, "r", "n", now).unwrap().0
            };
            let text = signed(&mixed, token, now, None);
            assert_eq!(error_of(verify(&text, now)), TokenError::WrongSignature);
            let text = signed(other, token, now, None);
            assert_eq!(error_of(verify(&text, now)), TokenError::UnknownCredentials);
        });
        let url = String::from_utf8(BASE64.decode(signed(session, token, now, None)).unwrap()).unwrap();
        let changed = BASE64.encode(url.replace("X-Amz-Expires=900", "X-Amz-Expires=899"));
        assert_eq!(error_of(verify(&changed, now)), TokenError::WrongSignature);
        let repeated = BASE64.encode(format!("{url}&Action=kafka-cluster%3AConnect"));
        assert_eq!(error_of(verify(&repeated, now)), TokenError::RepeatedParameter);
        let late = now + Duration::hours(1);
        let role = "arn:aws:iam::0:role/r".to_owned();
        let error = error_of(verify(&signed(session, token, late, None), late));
        assert_eq!(error, TokenError::ExpiredCredentials { role });
    });
}

#[test]
fn every_error_has_a_message() {
    let text = || "TEXT".to_owned();
    let errors = [
        TokenError::NotAUrl,
        TokenError::WrongHost(text()),
        TokenError::InvalidEncoding,
        TokenError::RepeatedParameter,
        TokenError::WrongAction,
        TokenError::WrongAlgorithm,
        TokenError::InvalidDate,
        TokenError::InvalidLifetime,
        TokenError::NotYetValid(text()),
        TokenError::Expired {
            date: text(),
            seconds: 900,
        },
        TokenError::WrongScope(text()),
        TokenError::UnknownCredentials,
        TokenError::ExpiredCredentials { role: text() },
        TokenError::WrongSignature,
    ];
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(messages.join("\n"), @"
    the token is not a base64-encoded URL
    the token is not signed for https://TEXT, the region of this cluster
    a parameter of the token's URL is not valid UTF-8
    a parameter occurs twice in the token's URL
    the token is not for the action kafka-cluster:Connect
    the token is not signed with AWS4-HMAC-SHA256 over the host header alone
    the token's X-Amz-Date is not a timestamp
    the token's X-Amz-Expires is not between 1 and 900 s
    the token was signed in the future, at TEXT. Check the clock.
    the token has expired: it was signed at TEXT and was valid for 900 s
    the token's credential does not have the scope TEXT
    the token is not signed with the credentials of a task's role
    the credentials of TEXT that signed the token have expired
    the token's signature is wrong
    ");
}
