-- The form in which addresses are compared, where it is not the address in lower case: those with characters beyond ASCII.
alter table patient add column email_key text;
drop index patient_email;
create unique index patient_email on patient (coalesce(email_key, lower(email collate "C")));
