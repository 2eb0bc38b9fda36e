-- The journal: each event that was seen, once. Its key is what makes a second delivery harmless.
create table events (
    event_id    uuid primary key,
    patient_id  uuid not null,
    event_type  text not null check (event_type in ('PATIENT_CREATED', 'PATIENT_UPDATED', 'PATIENT_DELETED')),
    version     bigint not null check (version > 0),
    occurred_at timestamptz not null
);

create index events_by_patient on events (patient_id, version);
create index events_by_time on events (occurred_at) include (event_type);

-- What is known of each patient: the newest version, and after a deletion a tombstone. No name, no address: counting
-- needs neither.
create table patients (
    patient_id uuid primary key,
    version    bigint not null,
    birth_year integer,
    deleted    boolean not null default false
);

create index patients_living on patients (birth_year) where not deleted;
