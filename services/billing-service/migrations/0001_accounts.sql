-- One account for each patient: the unique key is what makes opening an account idempotent.
create table accounts (
    id           uuid primary key,
    patient_id   uuid not null unique,
    -- Who is billed. Both are erased when the account is closed: the patient is gone, the account number stays.
    holder_name  text,
    holder_email text,
    status       text not null default 'ACTIVE' check (status in ('ACTIVE', 'CLOSED')),
    -- Null when the account was closed before it was opened: the row then only keeps a late request from opening one.
    opened_at    timestamptz,
    closed_at    timestamptz,
    check (opened_at is not null or closed_at is not null),
    check ((status = 'CLOSED') = (closed_at is not null))
);
