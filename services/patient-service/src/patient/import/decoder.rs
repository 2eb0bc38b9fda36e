//! The rows of an import, decoded from pieces of its body.
//!
//! CSV is decoded here: csv-core reports no error and takes a misplaced quotation mark for a part of the value, and an import must
//! reject such a row by its line.

use kit::{Problem, Result, extract};
use serde_json::{Map, Value};

use super::super::input::PatientBody;

/// Maximum length of a row in bytes.
const MAX_ROW_BYTES: usize = 16 << 10;
/// Columns of CSV that are fields of a patient; others are ignored.
const FIELDS: [&str; 5] = ["name", "email", "address", "dateOfBirth", "registeredDate"];

/// Format of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A JSON object on each line.
    Ndjson,
    /// RFC 4180, with a header.
    Csv,
}

/// A row, before its validation.
pub(super) struct Row {
    /// Line on which the row begins, from 1.
    pub line: u64,
    /// `None` if the text is no row of the format.
    pub body: Option<PatientBody>,
}

/// Splits a body into rows; it holds one piece of the body, and the beginning of a row.
pub(super) struct Decoder {
    format: Format,
    buffer: Vec<u8>,
    /// Number of bytes of the buffer that were decoded.
    decoded: usize,
    line: u64,
    /// Columns of CSV, once its header was decoded.
    header: Option<Vec<String>>,
}

impl Decoder {
    pub fn new(format: Format) -> Self {
        Self {
            format,
            buffer: Vec::new(),
            decoded: 0,
            line: 1,
            header: None,
        }
    }

    /// Adds a piece of the body.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.decoded));
        self.buffer.extend_from_slice(piece);
    }

    /// Returns the next complete row; `None` if more of the body is needed, or there are no more rows at its end.
    ///
    /// # Errors
    /// 400 if a row is too long, or the header of CSV has no name.
    pub fn next(&mut self, is_end: bool) -> Result<Option<Row>> {
        loop {
            let rest = &self.buffer[self.decoded..];
            let (length, taken) = match self.end_of_row(rest) {
                Some(length) => (length, length + 1),
                None if is_end && !rest.is_empty() => (rest.len(), rest.len()),
                None => (rest.len(), 0),
            };
            if length > MAX_ROW_BYTES {
                let problem = format!("The row on line {} is longer than {MAX_ROW_BYTES} bytes", self.line);
                return Err(Problem::bad_request(problem));
            }
            if taken == 0 {
                return Ok(None);
            }
            let bytes = rest[..length].to_vec();
            let line = self.line;
            self.decoded += taken;
            self.line += bytes.split(|byte| *byte == b'\n').count() as u64;
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let body = match (self.format, &self.header) {
                (Format::Ndjson, _) => extract::parse(&bytes).ok(),
                (Format::Csv, Some(header)) => row(header, &bytes),
                (Format::Csv, None) => {
                    self.header = Some(header(&bytes)?);
                    continue;
                }
            };
            return Ok(Some(Row { line, body }));
        }
    }

    /// Returns the position of the line feed that ends a row: in CSV, one that is not in a quoted cell.
    fn end_of_row(&self, rest: &[u8]) -> Option<usize> {
        let mut position = Position::Start;
        // A row that is too long is not searched to its end.
        rest.iter().take(MAX_ROW_BYTES + 2).position(|byte| {
            position = match (position, byte) {
                (Position::Start, b'"') if self.format == Format::Csv => Position::Quoted,
                (Position::Closed, b'"') => Position::Quoted,
                (Position::Quoted, b'"') => Position::Closed,
                (Position::Quoted, _) => Position::Quoted,
                (_, b'\n') => return true,
                (_, b',') => Position::Start,
                _ => Position::Plain,
            };
            false
        })
    }
}

/// Position in a record of CSV.
#[derive(Clone, Copy)]
enum Position {
    /// At the beginning of a cell.
    Start,
    Plain,
    /// In a quoted cell.
    Quoted,
    /// Behind a quotation mark in a quoted cell: its end, or the first half of a mark that is part of it.
    Closed,
}

fn header(bytes: &[u8]) -> Result<Vec<String>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let header = std::str::from_utf8(bytes).ok().and_then(cells);
    header
        .filter(|columns| columns.iter().any(|column| column == "name"))
        .ok_or_else(|| {
            Problem::bad_request(
                "The first line of CSV must be its header, with the columns name, email, address and dateOfBirth",
            )
        })
}

fn row(header: &[String], bytes: &[u8]) -> Option<PatientBody> {
    let cells = cells(std::str::from_utf8(bytes).ok()?)?;
    if cells.len() != header.len() {
        return None;
    }
    let known = header
        .iter()
        .zip(cells)
        .filter(|(column, _)| FIELDS.contains(&column.as_str()));
    let fields: Map<String, Value> = known
        .filter(|(_, cell)| !cell.is_empty())
        .map(|(column, cell)| (column.clone(), unescaped(cell).into()))
        .collect();
    serde_json::from_value(fields.into()).ok()
}

/// Removes the apostrophe with which the export protects a cell from being taken for a formula.
fn unescaped(cell: String) -> String {
    match cell.strip_prefix('\'') {
        Some(rest) if super::super::bulk::is_formula(rest) => rest.to_owned(),
        _ => cell,
    }
}

/// Splits a record of CSV; `None` if a quotation mark is misplaced.
fn cells(record: &str) -> Option<Vec<String>> {
    let mut rest = record.strip_suffix('\r').unwrap_or(record);
    let mut cells = Vec::new();
    loop {
        let mut cell = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let end = rest.find('"')?;
                cell.push_str(&rest[..end]);
                rest = &rest[end + 1..];
                let Some(more) = rest.strip_prefix('"') else { break };
                cell.push('"');
                rest = more;
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            cell.push_str(&rest[..end]);
            rest = &rest[end..];
            if cell.contains('"') {
                return None;
            }
        }
        cells.push(cell);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return rest.is_empty().then_some(cells),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the line of each row and whether it could be decoded, from pieces of this length.
    fn decode(format: Format, text: &str, piece: usize) -> Result<Vec<(u64, bool)>> {
        let mut decoder = Decoder::new(format);
        let mut rows = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            decoder.push(piece);
            while let Some(row) = decoder.next(false)? {
                rows.push((row.line, row.body.is_some()));
            }
        }
        decoder.push(b"");
        while let Some(row) = decoder.next(true)? {
            rows.push((row.line, row.body.is_some()));
        }
        Ok(rows)
    }

    #[test]
    fn rows_are_the_same_in_pieces_of_any_length() {
        let ndjson = "{\"name\":\"Ada\"}\n\n[]\r\n{\"name\":\nnull\n{\"name\":\"Bea\"}";
        let csv = "\u{feff}id,name\r\n1,\"A \"\"B\"\"\nC\"\r\n2,a\"b\n3\n4,\"x\"y\n5,é";
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(
                decode(Format::Ndjson, ndjson, piece).expect("rows"),
                [(1, true), (3, false), (4, false), (5, false), (6, true)]
            );
            // Line 2 continues on line 3; the marks on lines 4 and 6 are misplaced.
            assert_eq!(
                decode(Format::Csv, csv, piece).expect("rows"),
                [(2, true), (4, false), (5, false), (6, false), (7, true)],
                "{piece}"
            );
        }
    }

    #[test]
    fn a_row_without_an_end_and_a_header_without_a_name_are_client_errors() {
        let endless = format!("name\n\"{}", "x\n".repeat(MAX_ROW_BYTES));
        assert_eq!(decode(Format::Csv, &endless, 4096).expect_err("too long").status(), 400);
        let endless = "x".repeat(MAX_ROW_BYTES + 1);
        assert_eq!(
            decode(Format::Ndjson, &endless, 4096).expect_err("too long").status(),
            400
        );
        assert_eq!(
            decode(Format::Csv, "a,b\n1,2\n", 4096).expect_err("no name").status(),
            400
        );
        assert_eq!(decode(Format::Csv, "", 1).expect("nothing"), []);
    }

    #[test]
    fn cells_are_those_of_rfc_4180() {
        for (record, expected) in [
            ("a,,\"b,\"\"c\"\"\"\r", Some(vec!["a", "", "b,\"c\""])),
            ("", Some(vec![""])),
            ("a\"b", None),
            ("\"a", None),
            ("\"a\"b", None),
        ] {
            let cells = cells(record);
            assert_eq!(
                cells,
                expected.map(|cells| cells.into_iter().map(str::to_owned).collect()),
                "{record}"
            );
        }
        assert_eq!(
            ["'=1", "'a", "=1"].map(|cell| unescaped(cell.into())),
            ["=1", "'a", "=1"]
        );
    }
}
