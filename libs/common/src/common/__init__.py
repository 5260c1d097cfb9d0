"""What every Carillon service shares. It imports no service."""
