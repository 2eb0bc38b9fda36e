//! The few Kafka requests that MSK's own operations need, in versions that brokers old and new take.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::{Buf, BufMut, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const TIMEOUT_MS: i32 = 15_000;
const LARGEST_ANSWER: i32 = 16 << 20;

/// `(key, version)` of each request. None of the versions has tagged fields.
const METADATA: (i16, i16) = (3, 1);
const API_VERSIONS: (i16, i16) = (18, 0);
const CREATE_TOPICS: (i16, i16) = (19, 2);
const DELETE_TOPICS: (i16, i16) = (20, 1);
const CREATE_PARTITIONS: (i16, i16) = (37, 0);
const ALTER_CONFIGS: (i16, i16) = (44, 0);

const TOPIC_ALREADY_EXISTS: i16 = 36;
const UNKNOWN_TOPIC: i16 = 3;

/// A topic as the broker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    pub internal: bool,
    pub partitions: usize,
    pub replicas: usize,
    /// Whether each partition has a leader.
    pub ready: bool,
}

/// Speaks to one broker; each request has a connection of its own.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub address: Ipv4Addr,
    pub port: u16,
}

impl Client {
    /// Says whether a broker answers at all.
    pub async fn answers(&self) -> anyhow::Result<()> {
        let mut answer = self.ask(API_VERSIONS, Vec::new()).await?;
        let code = short(&mut answer)?;
        ensure!(code == 0, "the broker answers ApiVersions with the error {code}");
        Ok(())
    }

    /// Every topic, or those named.
    pub async fn topics(&self, names: Option<&[&str]>) -> anyhow::Result<Vec<Topic>> {
        let mut request = Vec::new();
        match names {
            None => request.put_i32(-1),
            Some(names) => {
                request.put_i32(names.len() as i32);
                names.iter().for_each(|name| put(&mut request, name));
            }
        }
        let mut answer = self.ask(METADATA, request).await?;
        for _ in 0..int(&mut answer)? {
            int(&mut answer)?;
            text(&mut answer)?;
            int(&mut answer)?;
            text(&mut answer)?;
        }
        int(&mut answer)?;
        let mut topics = Vec::new();
        for _ in 0..int(&mut answer)? {
            let code = short(&mut answer)?;
            let name = text(&mut answer)?.unwrap_or_default();
            let internal = byte(&mut answer)? != 0;
            let partitions = int(&mut answer)?;
            let (mut ready, mut replicas) = (partitions > 0, 0);
            for _ in 0..partitions {
                let failed = short(&mut answer)? != 0;
                int(&mut answer)?;
                let leader = int(&mut answer)?;
                ready &= !failed && leader >= 0;
                for list in 0..2 {
                    let count = int(&mut answer)?;
                    if list == 0 {
                        replicas = count.max(0) as usize;
                    }
                    for _ in 0..count {
                        int(&mut answer)?;
                    }
                }
            }
            if code == 0 {
                topics.push(Topic {
                    name,
                    internal,
                    partitions: partitions.max(0) as usize,
                    replicas,
                    ready,
                });
            }
        }
        Ok(topics)
    }

    /// Makes a topic and waits until each partition has a leader. One that is there is an error.
    pub async fn create(&self, name: &str, partitions: i32, configs: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let mut request = Vec::new();
        request.put_i32(1);
        put(&mut request, name);
        request.put_i32(partitions);
        request.put_i16(1);
        request.put_i32(0);
        request.put_i32(configs.len() as i32);
        for (key, value) in configs {
            put(&mut request, key);
            put(&mut request, value);
        }
        request.put_i32(TIMEOUT_MS);
        request.put_u8(0);
        let mut answer = self.ask(CREATE_TOPICS, request).await?;
        int(&mut answer)?;
        int(&mut answer)?;
        text(&mut answer)?;
        let (code, words) = (short(&mut answer)?, text(&mut answer)?);
        if code == TOPIC_ALREADY_EXISTS {
            bail!("the topic '{name}' already exists");
        }
        checked(code, words, "create", name)?;
        let led = async {
            while !self
                .topics(Some(&[name]))
                .await
                .is_ok_and(|found| found.iter().any(|topic| topic.ready))
            {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, led)
            .await
            .with_context(|| format!("the topic '{name}' has no leader yet"))
    }

    /// Removes a topic; one that is not there is fine.
    pub async fn delete(&self, name: &str) -> anyhow::Result<()> {
        let mut request = Vec::new();
        request.put_i32(1);
        put(&mut request, name);
        request.put_i32(TIMEOUT_MS);
        let mut answer = self.ask(DELETE_TOPICS, request).await?;
        int(&mut answer)?;
        int(&mut answer)?;
        text(&mut answer)?;
        match short(&mut answer)? {
            UNKNOWN_TOPIC => Ok(()),
            code => checked(code, None, "delete", name),
        }
    }

    /// Raises the number of partitions.
    pub async fn add_partitions(&self, name: &str, count: i32) -> anyhow::Result<()> {
        let mut request = Vec::new();
        request.put_i32(1);
        put(&mut request, name);
        request.put_i32(count);
        request.put_i32(-1);
        request.put_i32(TIMEOUT_MS);
        request.put_u8(0);
        let mut answer = self.ask(CREATE_PARTITIONS, request).await?;
        int(&mut answer)?;
        int(&mut answer)?;
        text(&mut answer)?;
        let (code, words) = (short(&mut answer)?, text(&mut answer)?);
        checked(code, words, "add partitions to", name)
    }

    /// Sets configs (`Some`), or puts them back to the broker's default (`None`).
    pub async fn configure(&self, name: &str, configs: &BTreeMap<String, Option<String>>) -> anyhow::Result<()> {
        const TOPIC: i8 = 2;
        let mut request = Vec::new();
        request.put_i32(1);
        request.put_i8(TOPIC);
        put(&mut request, name);
        request.put_i32(configs.len() as i32);
        for (key, value) in configs {
            put(&mut request, key);
            request.put_i8(if value.is_some() { 0 } else { 1 });
            match value {
                Some(value) => put(&mut request, value),
                None => request.put_i16(-1),
            }
        }
        request.put_u8(0);
        let mut answer = self.ask(ALTER_CONFIGS, request).await?;
        int(&mut answer)?;
        int(&mut answer)?;
        let (code, words) = (short(&mut answer)?, text(&mut answer)?);
        checked(code, words, "configure", name)
    }

    async fn ask(&self, (key, version): (i16, i16), body: Vec<u8>) -> anyhow::Result<Bytes> {
        let asked = async {
            let mut connection = TcpStream::connect((self.address, self.port)).await?;
            let mut request = Vec::with_capacity(body.len() + 32);
            request.put_i16(key);
            request.put_i16(version);
            request.put_i32(1);
            put(&mut request, "endpoint");
            request.extend_from_slice(&body);
            connection.write_i32(request.len() as i32).await?;
            connection.write_all(&request).await?;
            let size = connection.read_i32().await?;
            ensure!((4..=LARGEST_ANSWER).contains(&size), "the answer is not Kafka's");
            let mut answer = vec![0; size as usize];
            connection.read_exact(&mut answer).await?;
            let mut answer = Bytes::from(answer);
            ensure!(int(&mut answer)? == 1, "the answer is not Kafka's");
            Ok(answer)
        };
        let broker = || format!("the broker {}:{} does not answer", self.address, self.port);
        timeout(PATIENCE, asked)
            .await
            .with_context(broker)?
            .with_context(broker)
    }
}

fn checked(code: i16, words: Option<String>, what: &str, topic: &str) -> anyhow::Result<()> {
    match code {
        0 => Ok(()),
        _ => bail!(
            "cannot {what} the topic '{topic}': {}",
            words.unwrap_or_else(|| format!("Kafka's error {code}"))
        ),
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.put_i16(text.len() as i16);
    out.extend_from_slice(text.as_bytes());
}

fn byte(from: &mut Bytes) -> anyhow::Result<i8> {
    from.try_get_i8().context("the answer ends too early")
}

fn short(from: &mut Bytes) -> anyhow::Result<i16> {
    from.try_get_i16().context("the answer ends too early")
}

fn int(from: &mut Bytes) -> anyhow::Result<i32> {
    from.try_get_i32().context("the answer ends too early")
}

fn text(from: &mut Bytes) -> anyhow::Result<Option<String>> {
    let length = short(from)?;
    if length < 0 {
        return Ok(None);
    }
    ensure!(from.remaining() >= length as usize, "the answer ends too early");
    Ok(Some(
        String::from_utf8_lossy(&from.split_to(length as usize)).into_owned(),
    ))
}
