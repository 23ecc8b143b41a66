-- Where Supabase keeps files. The embedded Postgres has no schema `storage`: there, files are a folder.
--
-- Both buckets are private, and no policy on storage.objects lets anybody in: the service makes signed links.
-- The types are those that infra/supabase_files.py stores; nothing that a browser would run is among them.
do $$
begin
    if to_regclass('storage.buckets') is null then
        return;
    end if;
    insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
    values
        ('training-files', 'training-files', false, 300 * 1024 * 1024,
         array['application/json', 'application/x-ndjson', 'text/csv', 'application/octet-stream']),
        -- 5 GB: as much as one upload may bring, and what functions/deliver.py allows an adapter.
        ('model-artifacts', 'model-artifacts', false, 5::bigint * 1024 * 1024 * 1024,
         array['application/zip', 'application/pdf', 'application/json', 'application/x-ndjson', 'text/csv',
               'image/png', 'application/octet-stream'])
    on conflict (id) do update set
        public = excluded.public,
        file_size_limit = excluded.file_size_limit,
        allowed_mime_types = excluded.allowed_mime_types;
end $$;
