-- Which events were handled. Its key is what makes a second delivery harmless.
create table handled_events (
    event_id   uuid primary key,
    handled_at timestamptz not null default now()
);

-- The newest version that is known of each patient, and after a deletion a tombstone.
create table patients (
    patient_id uuid primary key,
    version    bigint not null,
    deleted    boolean not null default false
);

-- One notification for each event that is news.
create table notifications (
    id              uuid primary key,
    event_id        uuid not null unique,
    patient_id      uuid not null,
    version         bigint not null,
    kind            text not null check (kind in ('WELCOME', 'DETAILS_CHANGED', 'FAREWELL')),
    -- To whom it goes. Both are erased once it is sent or given up: nobody needs them after that.
    recipient_name  text,
    recipient_email text,
    status          text not null default 'PENDING' check (status in ('PENDING', 'SENT', 'FAILED')),
    attempts        integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    created_at      timestamptz not null default now(),
    finished_at     timestamptz,
    check ((status = 'PENDING') = (finished_at is null)),
    check (status <> 'PENDING' or (recipient_name is not null and recipient_email is not null))
);

create index notifications_by_patient on notifications (patient_id, id);
create index notifications_pending on notifications (patient_id, version) where status = 'PENDING';
