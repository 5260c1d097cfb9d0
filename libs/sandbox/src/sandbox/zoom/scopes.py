"""What an app may be allowed to do; every scope has a classic and a granular name."""

READ_USER = ("user:read:user", "user:read")
READ_ANY_USER = ("user:read:user:admin", "user:read:admin")
LIST_USERS = ("user:read:list_users:admin", "user:read:admin")
LIST_RECORDINGS = ("cloud_recording:read:list_user_recordings", "recording:read")
LIST_ANY_RECORDINGS = ("cloud_recording:read:list_user_recordings:admin", "recording:read:admin")
READ_RECORDING = ("cloud_recording:read:list_recording_files", "recording:read")
READ_ANY_RECORDING = ("cloud_recording:read:list_recording_files:admin", "recording:read:admin")
DELETE_RECORDING = ("cloud_recording:delete:meeting_recording", "recording:write")
DELETE_ANY_RECORDING = ("cloud_recording:delete:meeting_recording:admin", "recording:write:admin")

EXPLAINED = {
    "user:read:user": "See your name and e-mail address",
    "user:read": "See your name and e-mail address",
    "cloud_recording:read:list_user_recordings": "See a list of your cloud recordings",
    "cloud_recording:read:list_recording_files": "See and download the files of your cloud recordings",
    "recording:read": "See and download your cloud recordings",
    "cloud_recording:delete:meeting_recording": "Delete your cloud recordings",
    "recording:write": "Change and delete your cloud recordings",
}
"""What a person reads in the dialog."""
USER_SCOPES = tuple(EXPLAINED)
ACCOUNT_SCOPES = tuple(
    dict.fromkeys(
        READ_ANY_USER + LIST_USERS + LIST_ANY_RECORDINGS + READ_ANY_RECORDING + DELETE_ANY_RECORDING
    )
)
KNOWN = frozenset((*USER_SCOPES, *ACCOUNT_SCOPES))
