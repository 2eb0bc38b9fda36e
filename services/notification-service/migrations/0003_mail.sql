-- The current name and address of each patient: a deletion is told by ids alone, and its farewell needs both. They are erased in
-- the transaction that queues the farewell.
alter table patients
    add column name text,
    add column email text,
    add column email_allowed boolean not null default true,
    add constraint patients_nothing_after_deletion
        check (not deleted or (name is null and email is null and email_allowed)),
    add constraint patients_name_and_email check ((name is null) = (email is null));

-- SKIPPED: nothing was to be sent; `reason` says why, and why a FAILED one was given up.
alter table notifications
    drop constraint notifications_status_check,
    drop constraint notifications_check1,
    add column reason text,
    -- The transport that took it.
    add column channel text,
    -- Local part of its Message-ID: the same for each attempt, another one after a request to send it again.
    add column message_id uuid not null default gen_random_uuid(),
    -- When its attempts began; they end a day later.
    add column queued_at timestamptz not null default now(),
    add constraint notifications_status_check check (status in ('PENDING', 'SENT', 'FAILED', 'SKIPPED')),
    add constraint notifications_reason_check check (reason in ('EXPIRED', 'REFUSED', 'NO_TRANSPORT', 'OPTED_OUT', 'NO_RECIPIENT'));

update notifications set message_id = event_id, queued_at = created_at;

update patients
set name = newest.recipient_name, email = newest.recipient_email
from (
    select distinct on (patient_id) patient_id, recipient_name, recipient_email from notifications
    where status = 'PENDING' order by patient_id, version desc
) newest
where patients.patient_id = newest.patient_id and not patients.deleted;

-- What waits for a deleted patient goes nowhere; only the farewell keeps its recipient until it is finished.
update notifications
set status = 'SKIPPED', reason = 'NO_RECIPIENT', finished_at = now()
from patients
where notifications.patient_id = patients.patient_id and patients.deleted and status = 'PENDING' and kind <> 'FAREWELL';
update notifications set recipient_name = null, recipient_email = null where status <> 'PENDING' or kind <> 'FAREWELL';
create index notifications_pending_by_age on notifications (queued_at) where status = 'PENDING';
