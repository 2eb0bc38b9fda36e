-- The audit trail: one row for each request, each chained to the row before it. Ids and names of fields only; no value
-- of a patient, so that the trail outlives an erased patient.
create table records (
    position bigint primary key check (position > 0),
    -- A second delivery of the same event has no effect.
    event_id uuid not null unique,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    actor uuid not null,
    role text not null,
    session_id uuid,
    client_address text,
    action text not null,
    route text not null,
    patient_id uuid,
    shown_patient_ids uuid[] not null,
    changed_fields text[] not null,
    outcome integer not null,
    trace_id text,
    service text not null,
    -- SHA-256 of the previous row's hash and this row's content; of 32 zero bytes for the first row.
    hash bytea not null check (octet_length(hash) = 32)
);

-- Everything that concerned a patient, whether the request named the patient or a list showed it.
create index records_by_patient on records using gin (array_append(shown_patient_ids, patient_id));
create index records_by_actor on records (actor, position);
create index records_by_action on records (action, position);
create index records_by_time on records (occurred_at);

create function reject_change() returns trigger language plpgsql as $$
begin
    raise exception 'audit records are append-only' using errcode = 'insufficient_privilege';
end
$$;

create trigger records_are_append_only before update or delete or truncate on records
    for each statement execute function reject_change();
