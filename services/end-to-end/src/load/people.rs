//! The patients of a run: made up, remembered, asked about, and deleted in the end.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::anyhow;
use futures::{StreamExt, TryStreamExt, stream};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    api::{Api, Fault},
    mix::Operation,
};

/// Requests at once while patients are made before, and deleted after.
const AT_ONCE: usize = 8;

pub(super) struct People {
    /// In every email address of this run, so that runs do not meet.
    run: String,
    made: AtomicUsize,
    known: Mutex<Vec<Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    id: Uuid,
    number: usize,
}

impl People {
    /// Creates the first patients.
    pub(super) async fn new(api: &Api, first: usize) -> anyhow::Result<People> {
        let people = People {
            run: Uuid::new_v4().simple().to_string(),
            made: AtomicUsize::new(0),
            known: Mutex::default(),
        };
        stream::iter(0..first)
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, |_| people.ask(api, Operation::Create))
            .await
            .map_err(|fault| anyhow!("no patient can be created: {fault}"))?;
        Ok(people)
    }

    /// Sends one request of this kind; `Ok` when the answer is the one that the API promises.
    pub(super) async fn ask(&self, api: &Api, operation: Operation) -> Result<(), Fault> {
        let get = |path: String| async move { api.ask(Method::GET, &path, None, None, StatusCode::OK).await };
        let Known { id, number } = self.somebody();
        match operation {
            Operation::List => array(&get("/api/patients?limit=20".into()).await?),
            Operation::Search => {
                let found = get(format!("/api/patients?search=load.{number}.{}", self.run)).await?;
                match parsed(&found)?.as_array().is_some_and(|found| found.len() == 1) {
                    true => Ok(()),
                    false => Err(Fault::Shape("a search that does not find the one patient")),
                }
            }
            Operation::Read => same(&get(format!("/api/patients/{id}")).await?, id),
            Operation::Create => self.create(api).await,
            Operation::Update => {
                let body = self.person(number, "Changed");
                let path = format!("/api/patients/{id}");
                same(
                    &api.ask(Method::PUT, &path, None, Some(&body), StatusCode::OK).await?,
                    id,
                )
            }
            Operation::Login => api.log_in_again().await,
            Operation::Validate => get("/auth/validate".into()).await.map(drop),
            Operation::Billing => array(&get(format!("/api/billing/accounts?patientId={id}")).await?),
            Operation::Analytics => array(&get(format!("/api/analytics/events?patientId={id}")).await?),
            Operation::Notifications => array(&get(format!("/api/notifications?patientId={id}")).await?),
        }
    }

    /// The patients whose creation was acknowledged.
    pub(super) fn created(&self) -> Vec<Uuid> {
        self.known().iter().map(|known| known.id).collect()
    }

    /// Deletes them.
    pub(super) async fn forget(&self, api: &Api) -> Result<(), Fault> {
        stream::iter(self.created())
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, |id| async move {
                let path = format!("/api/patients/{id}");
                let deleted = api.ask(Method::DELETE, &path, None, None, StatusCode::NO_CONTENT).await;
                deleted.map(drop)
            })
            .await
    }

    async fn create(&self, api: &Api) -> Result<(), Fault> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let (body, key) = (self.person(number, "Load"), format!("load-{}-{number}", self.run));
        let made = api
            .ask(
                Method::POST,
                "/api/patients",
                Some(&key),
                Some(&body),
                StatusCode::CREATED,
            )
            .await?;
        let id = parsed(&made)?["id"].as_str().and_then(|id| id.parse().ok());
        let id = id.ok_or(Fault::Shape("a created patient without id"))?;
        self.known().push(Known { id, number });
        Ok(())
    }

    fn person(&self, number: usize, name: &str) -> Value {
        json!({
            "name": format!("{name} Number {number}"),
            "email": format!("load.{number}.{}@example.org", self.run),
            "address": format!("{number} Load Street"),
            "dateOfBirth": format!("{}-05-17", 1930 + number % 90),
        })
    }

    /// Any patient of this run; nobody at all while there is none, which is a 404.
    fn somebody(&self) -> Known {
        let known = self.known();
        match known.len() {
            0 => Known {
                id: Uuid::nil(),
                number: 0,
            },
            some => known[rand::random_range(0..some)],
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parsed(body: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Shape("an answer that is no JSON"))
}

fn array(body: &[u8]) -> Result<(), Fault> {
    match parsed(body)?.is_array() {
        true => Ok(()),
        false => Err(Fault::Shape("a list that is no array")),
    }
}

fn same(body: &[u8], id: Uuid) -> Result<(), Fault> {
    match parsed(body)?["id"] == json!(id) {
        true => Ok(()),
        false => Err(Fault::Shape("another patient than the one that was asked for")),
    }
}
