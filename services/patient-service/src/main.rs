//! patient-service: parse, connect, migrate, serve.

use std::sync::Arc;

use kit::{Server, cli::Cli, database, kafka, outbox};
use patient_service::{
    app::{self, App},
    billing::{self, Billing},
    calendar::Calendar,
    seed,
    settings::{CLI, Settings},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    const NAME: &str = CLI.name;
    let settings: Settings = Cli::parse(CLI);
    kit::telemetry::init(NAME);
    metrics::describe_counter!("patients_created_total", "Patients that were created");
    billing::describe_metrics();

    let pool = database::connect(&settings.database).await?;
    database::migrate(&pool, &patient_service::app::MIGRATIONS).await?;
    if settings.seed_demo_data {
        seed::demo_patients(&pool).await?;
    }

    let verifier = settings.tokens.verifier()?;
    let billing = Arc::new(Billing::new(&settings.billing)?);
    let app = App {
        pool: pool.clone(),
        verifier: verifier.clone(),
        billing: billing.clone(),
        calendar: Calendar::of(&settings.time_zone, &pool).await?,
    };
    let producer = kafka::producer(&settings.kafka)?;
    let (kafka_args, topics) = (settings.kafka.clone(), settings.kafka);

    Server::new(NAME, &settings.serve)
        .routes(app::routes(app))
        .openapi(app::openapi())
        .database(&pool)
        .tokens(&verifier)
        .kafka(&producer)
        .informational_check("billing", {
            let billing = billing.clone();
            move || {
                let billing = billing.clone();
                async move { billing.check().await }
            }
        })
        .background_task("reconciler", {
            let pool = pool.clone();
            |shutdown| billing::reconcile(pool, billing, shutdown)
        })
        .background_task("topics", |shutdown| app::ensure_topics(topics, shutdown))
        .background_task("outbox", |shutdown| outbox::relay(pool, kafka_args, shutdown))
        .run()
        .await
}
