-- Who changed which fields of a patient; no values. It is erased with the patient: what outlives it is the audit trail.
create table patient_change (
    patient_id uuid not null references patient on delete cascade,
    version bigint not null,
    -- Null for demo data.
    user_id uuid,
    role text,
    changed_at timestamptz not null default now(),
    fields text[] not null,
    primary key (patient_id, version)
);
