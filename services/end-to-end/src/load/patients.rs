//! The patients of a run: created, read, changed, and deleted at the end.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::anyhow;
use futures::{StreamExt, TryStreamExt, stream};
use http::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    api::{Api, Fault},
    mix::Operation,
};

/// Concurrent requests that create and delete patients before and after the load.
const CONCURRENCY: usize = 8;

pub(super) struct Patients {
    /// Part of every email address of this run, so that runs do not conflict.
    run: String,
    count: AtomicUsize,
    created: Mutex<Vec<CreatedPatient>>,
}

#[derive(Clone, Copy)]
struct CreatedPatient {
    id: Uuid,
    number: usize,
}

impl Patients {
    /// Creates the initial patients.
    pub(super) async fn new(api: &Api, initial: usize) -> anyhow::Result<Patients> {
        let patients = Patients {
            run: Uuid::new_v4().simple().to_string(),
            count: AtomicUsize::new(0),
            created: Mutex::default(),
        };
        stream::iter(0..initial)
            .map(Ok)
            .try_for_each_concurrent(CONCURRENCY, |_| patients.request(api, Operation::Create))
            .await
            .map_err(|fault| anyhow!("cannot create a patient: {fault}"))?;
        Ok(patients)
    }

    /// Sends one request of this operation.
    ///
    /// # Errors
    /// If the response violates the API's contract, or there is none.
    pub(super) async fn request(&self, api: &Api, operation: Operation) -> Result<(), Fault> {
        let get = |path: String| async move { api.request(Method::GET, &path, None, None, StatusCode::OK).await };
        let CreatedPatient { id, number } = self.random_patient();
        match operation {
            Operation::List => array(&get("/api/patients?limit=20".into()).await?),
            Operation::Search => {
                let found = get(format!("/api/patients?search=load.{number}.{}", self.run)).await?;
                if parsed(&found)?.as_array().is_some_and(|found| found.len() == 1) {
                    Ok(())
                } else {
                    Err(Fault::Shape("a search that does not find the patient"))
                }
            }
            Operation::Read => has_id(&get(format!("/api/patients/{id}")).await?, id),
            Operation::Create => self.create(api).await,
            Operation::Update => {
                let body = self.person(number, "Changed");
                let path = format!("/api/patients/{id}");
                has_id(
                    &api.request(Method::PUT, &path, None, Some(&body), StatusCode::OK)
                        .await?,
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

    /// Returns the patients whose creation was acknowledged.
    pub(super) fn created(&self) -> Vec<Uuid> {
        self.created.lock().iter().map(|patient| patient.id).collect()
    }

    /// Deletes the created patients.
    pub(super) async fn delete_all(&self, api: &Api) -> Result<(), Fault> {
        stream::iter(self.created())
            .map(Ok)
            .try_for_each_concurrent(CONCURRENCY, |id| async move {
                let path = format!("/api/patients/{id}");
                let deleted = api
                    .request(Method::DELETE, &path, None, None, StatusCode::NO_CONTENT)
                    .await;
                deleted.map(drop)
            })
            .await
    }

    async fn create(&self, api: &Api) -> Result<(), Fault> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let (body, key) = (self.person(number, "Load"), format!("load-{}-{number}", self.run));
        let created = api
            .request(
                Method::POST,
                "/api/patients",
                Some(&key),
                Some(&body),
                StatusCode::CREATED,
            )
            .await?;
        let id = parsed(&created)?["id"].as_str().and_then(|id| id.parse().ok());
        let id = id.ok_or(Fault::Shape("a created patient without an id"))?;
        self.created.lock().push(CreatedPatient { id, number });
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

    /// Returns a random patient of this run; the nil id, which is a 404, while there is none.
    fn random_patient(&self) -> CreatedPatient {
        let created = self.created.lock();
        match created.len() {
            0 => CreatedPatient {
                id: Uuid::nil(),
                number: 0,
            },
            count => created[rand::random_range(0..count)],
        }
    }
}

fn parsed(body: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Shape("a response that is not JSON"))
}

fn array(body: &[u8]) -> Result<(), Fault> {
    if parsed(body)?.is_array() {
        Ok(())
    } else {
        Err(Fault::Shape("a list that is not an array"))
    }
}

fn has_id(body: &[u8], id: Uuid) -> Result<(), Fault> {
    if parsed(body)?["id"] == json!(id) {
        Ok(())
    } else {
        Err(Fault::Shape("another patient than the requested one"))
    }
}
