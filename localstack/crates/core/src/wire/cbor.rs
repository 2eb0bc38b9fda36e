//! RFC 8949 as Smithy's rpc-v2-cbor uses it: what newer CloudWatch clients speak.

use serde_json::{Map, Number, Value};

use crate::AwsError;

const DEEPEST: usize = 64;

/// JSON to CBOR. Text that is an RFC 3339 instant becomes an epoch timestamp (tag 1), as the protocol wants it.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, value);
    out
}

/// CBOR to JSON; byte strings become base64 text, tags are dropped.
pub fn decode(bytes: &[u8]) -> Result<Value, AwsError> {
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let mut reader = Reader { bytes, at: 0 };
    match reader.item(0) {
        Some(Item::Value(value @ Value::Object(_))) => Ok(value),
        _ => Err(AwsError::new("SerializationException", "The body is not a CBOR map.")),
    }
}

fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(flag) => out.push(if *flag { 0xf5 } else { 0xf4 }),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(n), _) => head(out, 0, n),
            (None, Some(n)) => head(out, 1, n.unsigned_abs() - 1),
            _ => double(out, number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => match instant(text) {
            Some(seconds) => {
                head(out, 6, 1);
                double(out, seconds);
            }
            None => {
                head(out, 3, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
        },
        Value::Array(list) => {
            head(out, 4, list.len() as u64);
            list.iter().for_each(|item| write(out, item));
        }
        Value::Object(object) => {
            let members: Vec<_> = object.iter().filter(|(_, v)| !v.is_null()).collect();
            head(out, 5, members.len() as u64);
            for (name, value) in members {
                head(out, 3, name.len() as u64);
                out.extend_from_slice(name.as_bytes());
                write(out, value);
            }
        }
    }
}

fn instant(text: &str) -> Option<f64> {
    if text.len() < 20 || text.as_bytes()[10] != b'T' {
        return None;
    }
    let format = &time::format_description::well_known::Rfc3339;
    let at = time::OffsetDateTime::parse(text, format).ok()?;
    Some(at.unix_timestamp_nanos() as f64 / 1e9)
}

fn double(out: &mut Vec<u8>, number: f64) {
    out.push(0xfb);
    out.extend_from_slice(&number.to_be_bytes());
}

fn head(out: &mut Vec<u8>, major: u8, n: u64) {
    let major = major << 5;
    match n {
        0..=23 => out.push(major | n as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, n as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(n as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&n.to_be_bytes());
        }
    }
}

enum Item {
    Value(Value),
    Break,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, n: usize) -> Option<&[u8]> {
        let part = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(part)
    }

    fn number(&mut self, short: u8) -> Option<u64> {
        let width = match short {
            0..=23 => return Some(u64::from(short)),
            24..=27 => 1usize << (short - 24),
            _ => return None,
        };
        Some(self.take(width)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        match self.item(depth)? {
            Item::Value(value) => Some(value),
            Item::Break => None,
        }
    }

    fn item(&mut self, depth: usize) -> Option<Item> {
        if depth > DEEPEST {
            return None;
        }
        let first = *self.take(1)?.first()?;
        let (major, short) = (first >> 5, first & 31);
        if first == 0xff {
            return Some(Item::Break);
        }
        Some(Item::Value(match major {
            0 => Value::from(self.number(short)?),
            1 => Value::from(-1 - i64::try_from(self.number(short)?).ok()?),
            2 => {
                use base64::Engine as _;
                Value::String(base64::engine::general_purpose::STANDARD.encode(self.chunks(2, short)?))
            }
            3 => Value::String(String::from_utf8(self.chunks(3, short)?).ok()?),
            4 => Value::Array(self.list(short, depth)?),
            5 => Value::Object(self.map(short, depth)?),
            6 => {
                self.number(short)?;
                self.value(depth + 1)?
            }
            _ => match short {
                20 => Value::Bool(false),
                21 => Value::Bool(true),
                22 | 23 => Value::Null,
                26 => float(f64::from(f32::from_be_bytes(self.take(4)?.try_into().ok()?))),
                27 => float(f64::from_be_bytes(self.take(8)?.try_into().ok()?)),
                _ => return None,
            },
        }))
    }

    /// A definite string, or the chunks of an indefinite one.
    fn chunks(&mut self, major: u8, short: u8) -> Option<Vec<u8>> {
        if short != 31 {
            let length = usize::try_from(self.number(short)?).ok()?;
            return Some(self.take(length)?.to_vec());
        }
        let mut whole = Vec::new();
        loop {
            let first = *self.take(1)?.first()?;
            if first == 0xff {
                return Some(whole);
            }
            if first >> 5 != major {
                return None;
            }
            let length = usize::try_from(self.number(first & 31)?).ok()?;
            whole.extend_from_slice(self.take(length)?);
        }
    }

    fn list(&mut self, short: u8, depth: usize) -> Option<Vec<Value>> {
        let mut list = Vec::new();
        if short == 31 {
            while let Item::Value(value) = self.item(depth + 1)? {
                list.push(value);
            }
        } else {
            for _ in 0..self.number(short)? {
                list.push(self.value(depth + 1)?);
            }
        }
        Some(list)
    }

    fn map(&mut self, short: u8, depth: usize) -> Option<Map<String, Value>> {
        let mut map = Map::new();
        let mut left = if short == 31 { u64::MAX } else { self.number(short)? };
        while left > 0 {
            let name = match self.item(depth + 1)? {
                Item::Value(Value::String(name)) => name,
                Item::Break if short == 31 => break,
                _ => return None,
            };
            map.insert(name, self.value(depth + 1)?);
            left -= 1;
        }
        Some(map)
    }
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({"a": [1, -7, 300, 70000, 1.5, true, null], "b": {"c": "text"}});
        assert_eq!(decode(&encode(&value)).unwrap(), value);
    }

    #[test]
    fn broken_and_endless_bodies_are_errors() {
        for bad in [
            &[0xa1][..],
            &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x01],
            &[0xbf, 0x01],
        ] {
            assert!(decode(bad).is_err(), "{bad:?}");
        }
        assert!(decode(&[0x81; 500]).is_err());
    }
}
