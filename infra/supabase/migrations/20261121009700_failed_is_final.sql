-- A failed run stays failed: trying it again makes another run, linked to it, which takes its turn in the queue.

delete from job_transitions where before = 'failed' and after = 'recovering';
