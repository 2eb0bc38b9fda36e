//! CBOR (RFC 8949) as Smithy's rpc-v2-cbor protocol uses it, which newer CloudWatch clients speak.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ciborium::Value as Cbor;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::AwsError;

/// Maximum nesting of a request.
const MAX_DEPTH: usize = 64;
/// The tag of a timestamp in seconds since 1970.
const EPOCH_TIMESTAMP: u64 = 1;

/// Encodes JSON as CBOR. Text that is an RFC 3339 timestamp becomes an epoch timestamp, as the protocol requires.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(&to_cbor(value), &mut bytes).expect("writing to a Vec cannot fail");
    bytes
}

/// Decodes CBOR to JSON; byte strings become base64 text, tags are dropped.
///
/// # Errors
/// `SerializationException` for a body that is not a CBOR map, or that nests too deeply.
pub fn decode(bytes: &[u8]) -> Result<Value, AwsError> {
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let decoded = ciborium::de::from_reader_with_recursion_limit(bytes, MAX_DEPTH);
    decoded
        .ok()
        .and_then(to_json)
        .filter(Value::is_object)
        .ok_or_else(|| AwsError::new("SerializationException", "The body is not a CBOR map."))
}

fn to_cbor(value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(flag) => Cbor::Bool(*flag),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(n), _) => Cbor::Integer(n.into()),
            (None, Some(n)) => Cbor::Integer(n.into()),
            _ => Cbor::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => match epoch_seconds(text) {
            Some(seconds) => Cbor::Tag(EPOCH_TIMESTAMP, Box::new(Cbor::Float(seconds))),
            None => Cbor::Text(text.clone()),
        },
        Value::Array(list) => Cbor::Array(list.iter().map(to_cbor).collect()),
        Value::Object(object) => {
            let members = object.iter().filter(|(_, value)| !value.is_null());
            Cbor::Map(
                members
                    .map(|(name, value)| (Cbor::Text(name.clone()), to_cbor(value)))
                    .collect(),
            )
        }
    }
}

/// Returns `None` for what JSON cannot represent: keys that are not text, and integers of more than 64 bits.
fn to_json(value: Cbor) -> Option<Value> {
    Some(match value {
        Cbor::Null => Value::Null,
        Cbor::Bool(flag) => Value::Bool(flag),
        Cbor::Integer(number) => match (u64::try_from(number), i64::try_from(number)) {
            (Ok(n), _) => n.into(),
            (_, Ok(n)) => n.into(),
            _ => return None,
        },
        Cbor::Float(number) => number.into(),
        Cbor::Bytes(bytes) => BASE64_STANDARD.encode(bytes).into(),
        Cbor::Text(text) => text.into(),
        Cbor::Tag(_, value) => to_json(*value)?,
        Cbor::Array(list) => Value::Array(list.into_iter().map(to_json).collect::<Option<_>>()?),
        Cbor::Map(members) => {
            let members = members
                .into_iter()
                .map(|(name, value)| Some((name.into_text().ok()?, to_json(value)?)));
            Value::Object(members.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn epoch_seconds(text: &str) -> Option<f64> {
    if text.len() < 20 || text.as_bytes()[10] != b'T' {
        return None;
    }
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(instant.unix_timestamp_nanos() as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives_encoding_and_decoding() {
        let value = json!({"a": [1, -7, 300, 70000, u64::MAX, i64::MIN, 1.5, true, null], "b": {"c": "text"}});
        assert_eq!(decode(&encode(&value)).unwrap(), value);
    }

    #[test]
    fn a_timestamp_is_encoded_as_epoch_seconds() {
        let encoded = encode(&json!({"t": "2023-11-14T22:13:20.5Z"}));
        assert_eq!(decode(&encoded).unwrap(), json!({"t": 1_700_000_000.5}));
        // A map of one member, whose value has tag 1.
        assert_eq!(encoded[..4], [0xa1, 0x61, b't', 0xc1]);
    }

    #[test]
    fn indefinite_lengths_and_byte_strings_are_decoded() {
        // {_ "b": (_ h'01', h'02'), "l": [_ 1]}
        let body = [
            0xbf, 0x61, b'b', 0x5f, 0x41, 1, 0x41, 2, 0xff, 0x61, b'l', 0x9f, 1, 0xff, 0xff,
        ];
        assert_eq!(decode(&body).unwrap(), json!({"b": "AQI=", "l": [1]}));
        assert_eq!(decode(&[]).unwrap(), json!({}));
    }

    #[test]
    fn invalid_bodies_are_serialization_exceptions() {
        let truncated_map = &[0xa1][..];
        let list_of_2_to_the_64 = &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255];
        let text_of_2_to_the_64 = &[0xa1, 0x61, b'a', 0x7b, 255, 255, 255, 255, 255, 255, 255, 255];
        let unterminated_map = &[0xbf, 0x61, b'a', 0x01];
        let not_a_map = &[0x01];
        let key_that_is_not_text = &[0xa1, 0x01, 0x01];
        let too_deep: &[u8] = &[0x81; 500];
        for body in [
            truncated_map,
            list_of_2_to_the_64,
            text_of_2_to_the_64,
            unterminated_map,
            not_a_map,
            key_that_is_not_text,
            too_deep,
        ] {
            let error = decode(body).unwrap_err();
            assert_eq!(
                (error.code.as_str(), error.status),
                ("SerializationException", 400),
                "{body:?}"
            );
        }
    }
}
