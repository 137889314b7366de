import jotgate_auth

from .models import JotgateUser


def by_subject(claims):
    link = JotgateUser.objects.select_related("user").filter(subject=claims["sub"]).first()
    return link.user if link else jotgate_auth.user_by_name(claims)
