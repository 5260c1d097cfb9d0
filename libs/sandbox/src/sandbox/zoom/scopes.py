"""What an app may be allowed to do; every permission has a granular name and a classic one."""

READ_USER = ("user:read:user", "user:read")
READ_ANY_USER = ("user:read:user:admin", "user:read:admin")
LIST_USERS = ("user:read:list_users:admin", "user:read:admin")
LIST_RECORDINGS = ("cloud_recording:read:list_user_recordings", "recording:read")
LIST_ANY_RECORDINGS = ("cloud_recording:read:list_user_recordings:admin", "recording:read:admin")
READ_RECORDING = ("cloud_recording:read:list_recording_files", "recording:read")
READ_ANY_RECORDING = ("cloud_recording:read:list_recording_files:admin", "recording:read:admin")
DELETE_RECORDING = ("cloud_recording:delete:meeting_recording", "recording:write")
DELETE_ANY_RECORDING = ("cloud_recording:delete:meeting_recording:admin", "recording:write:admin")

_MEANINGS = (
    (READ_USER, "See your name and e-mail address"),
    (LIST_RECORDINGS, "See a list of your cloud recordings"),
    (READ_RECORDING, "See and download the files of your cloud recordings"),
    (DELETE_RECORDING, "Delete your cloud recordings"),
    (READ_ANY_USER, "See the name and e-mail address of anybody in the account"),
    (LIST_USERS, "See a list of everybody in the account"),
    (LIST_ANY_RECORDINGS, "See a list of anybody's cloud recordings"),
    (READ_ANY_RECORDING, "See and download the files of anybody's cloud recordings"),
    (DELETE_ANY_RECORDING, "Delete anybody's cloud recordings"),
)
MEANINGS = {scope: meaning for scopes, meaning in _MEANINGS for scope in scopes}
"""What a person reads in the dialog, by scope."""
USER_SCOPES = tuple(scope for scope in MEANINGS if not scope.endswith(":admin"))
ACCOUNT_SCOPES = tuple(scope for scope in MEANINGS if scope.endswith(":admin"))
