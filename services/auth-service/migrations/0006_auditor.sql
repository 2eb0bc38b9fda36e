-- AUDITOR reads the audit trail and the histories of patients.
alter table users drop constraint users_role_known;
alter table users add constraint users_role_known check (role in ('USER', 'ADMIN', 'AUDITOR'));
