-- An answer holds the person, so it is not stored: the repetition of a request reads what the request created.
alter table idempotency_key add column resource_id uuid;
update idempotency_key set resource_id = (answer ->> 'id')::uuid;
alter table idempotency_key alter column resource_id set not null, drop column answer;

-- Key and fingerprint are digests: that of the body contains the client's key, without which nobody can guess the body. The
-- fingerprints so far do not contain it.
alter table idempotency_key alter column fingerprint drop not null;
update idempotency_key set fingerprint = null, key = encode(sha256(convert_to(key, 'UTF8')), 'hex');
create index idempotency_key_resource on idempotency_key (resource_id);
