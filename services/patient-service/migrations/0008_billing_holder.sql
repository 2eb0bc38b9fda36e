-- The patient's version whose name and email the account must have. An intent with an account is PENDING while they differ.
alter table billing_intent add column version bigint not null default 0;

-- Accounts of patients that were changed before billing-service could be told.
update billing_intent b set status = 'PENDING', attempts = 0, next_attempt = now(), version = p.version
from patient p where p.id = b.patient_id and p.version > 1 and b.status = 'ACTIVE';
