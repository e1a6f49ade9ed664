"""Access to Keeper: the interface ``Vault`` for reading records, and what implements it with Keeper's SDK.

``session`` is what a refresh uses: credentials, retries and throttling around ``sdk``, which implements ``vault`` and reads the paths of folders
with ``folders``, records with ``decoding`` and ``one_time_codes``, and attachments with ``decryption``. ``transport`` sends the HTTPS requests, ``direct`` or through a proxy (``proxied``), to ``urls`` and within ``limits``.
``responses`` says what Keeper's answers mean, and ``binding`` turns a one-time token into a configuration.

Import from the modules: the SDK takes 0.2 s to import, and only a process that speaks to Keeper may pay for it.
"""

__all__: list[str] = []
