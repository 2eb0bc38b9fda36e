-- The sender takes the one that is due first: without this it reads and sorts all that wait, for each that it sends.
create index notifications_due on notifications (next_attempt_at, id) where status = 'PENDING';
